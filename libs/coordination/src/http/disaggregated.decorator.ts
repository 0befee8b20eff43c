import { applyDecorators, UseInterceptors } from '@nestjs/common';
import { DisaggregationInterceptor } from './disaggregation.interceptor.js';
import { DisaggregatedMetadata, type DisaggregatedOptions } from './route-contract.js';

/**
 * Adds dispatch to a route or to every route of a controller: the request goes to the first manager that takes it,
 * and the handler is its local execution. When coordination is off, or no manager takes the request, the handler
 * runs as if this decorator were not there.
 */
export const Disaggregated = (options: DisaggregatedOptions = {}): ClassDecorator & MethodDecorator =>
  applyDecorators(DisaggregatedMetadata(options), UseInterceptors(DisaggregationInterceptor));
