import { applyDecorators, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';

/** What a manager is registered under. */
export interface RequestManagerOptions {
  /** Unique; appears in `x-baton-manager`, metrics and logs. */
  readonly name: string;
  /** A lower number is asked first; equal numbers by name. Default 0. */
  readonly priority?: number;
  /** Whether it is asked, unless the configuration or an operator says otherwise. Default true. */
  readonly enabled?: boolean;
}

/** The key is a fixed string, so that a plugin that carries its own copy of this package is found as well. */
export const RequestManagerMetadata = Reflector.createDecorator<RequestManagerOptions>({
  key: 'baton:request-manager',
});

/** Registers a provider as a manager: `@RequestManager({ name: 'my-policy', priority: 5 })`. */
export const RequestManager = (options: RequestManagerOptions): ClassDecorator =>
  applyDecorators(RequestManagerMetadata(options), Injectable());
