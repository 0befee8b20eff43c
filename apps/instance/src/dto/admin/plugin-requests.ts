import { BooleanField } from '../fields/decorators.js';

/** Body of `POST /admin/plugins`. */
export class PluginScan {
  @BooleanField({ description: 'Whether plugins are replaced whose content has changed.', default: false })
  replace?: boolean | null;
}
