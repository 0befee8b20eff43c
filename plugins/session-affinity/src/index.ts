import { Module } from '@nestjs/common';
import { SessionAffinityPicker } from './session-affinity.picker.js';

/** The options that the host makes of `plugins.@baton-plugins/session-affinity` in its configuration. */
export { SessionAffinityOptions as pluginOptions } from './session-affinity.options.js';

/** What the host loads. The picker is asked where the configuration says `coordination.picker: session-affinity`. */
@Module({ providers: [SessionAffinityPicker] })
export default class SessionAffinityModule {}
