import { Module } from '@nestjs/common';
import { ShortAnswersManager } from './short-answers.manager.js';

/** The options that the host makes of `plugins.short-answers-plugin` in its configuration. */
export { ShortAnswersOptions as pluginOptions } from './short-answers.options.js';

/** What the host loads: whatever this module provides with a decorator of Baton takes part. */
@Module({ providers: [ShortAnswersManager] })
export default class ShortAnswersModule {}
