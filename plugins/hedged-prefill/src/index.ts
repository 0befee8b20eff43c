import { Module } from '@nestjs/common';
import { HedgedPrefillManager } from './hedged-prefill.manager.js';

/** The options that the host makes of `plugins['@baton-plugins/hedged-prefill']` in its configuration. */
export { HedgedPrefillOptions as pluginOptions } from './hedged-prefill.options.js';

/** What the host loads. */
@Module({ providers: [HedgedPrefillManager] })
export default class HedgedPrefillModule {}
