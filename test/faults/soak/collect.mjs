/**
 * Preloaded into the instances of a soak: a signal has all garbage collected, so that the heap that is measured next is what
 * is held. In between the collector works as it always does.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
process.on('SIGUSR2', () => collect());
