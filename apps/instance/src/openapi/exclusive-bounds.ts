import { isJsonObject } from '@baton/inference';

/** OpenAPI 3.1 has numbers where 3.0, whose types the decorators have, has a flag beside the bound. */
export function useNumericExclusiveBounds(node: unknown): void {
  if (Array.isArray(node)) node.forEach(useNumericExclusiveBounds);
  if (!isJsonObject(node)) return;
  if (node['exclusiveMinimum'] === true) {
    Reflect.set(node, 'exclusiveMinimum', node['minimum']);
    Reflect.deleteProperty(node, 'minimum');
  }
  Object.values(node).forEach(useNumericExclusiveBounds);
}
