import { Module } from '@nestjs/common';
import { ConditionalDecodeManager } from './conditional-decode.manager.js';

/** The options that the host makes of `plugins.@baton-plugins/conditional-decode` in its configuration. */
export { ConditionalDecodeOptions as pluginOptions } from './conditional-decode.options.js';

/** What the host loads. The manager is asked when an operator has enabled it. */
@Module({ providers: [ConditionalDecodeManager] })
export default class ConditionalDecodeModule {}
