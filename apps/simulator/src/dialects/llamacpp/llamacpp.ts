import type { InferenceAnswer } from '../../http/answer.js';
import { faultOf } from '../../http/request-record.js';
import type { Dialect } from '../dialect.js';
import { answerOpenAi } from '../openai/openai-answer.js';
import { completion } from './completion.js';
import { llamaError, loadingError } from './error-body.js';
import type { LlamaCppOptions } from './llamacpp-options.js';
import { openAiOf } from './openai.js';
import { startPings } from './pings.js';
import { registerSlots } from './slot-routes.js';
import { Slots } from './slots.js';
import { registerTools } from './tools.js';

const DEFAULT_SLOTS = 4;
const PUBLIC = new Set(['/health', '/v1/health', '/v1/models', '/models']);

/**
 * llama.cpp's `llama-server`. Caches go from one server to another as files of a shared directory. Whether it sees that
 * a client has left differs by its build: the fault `ignore_disconnect` is a build that does not.
 */
export const llamacpp: Dialect = {
  name: 'llamacpp',
  register(app, engine, options: LlamaCppOptions) {
    app.errorBody = llamaError;
    app.protects = (path) => !PUBLIC.has(path) && !path.startsWith('/sim');
    const slots = new Slots(options.slots ?? Math.min(DEFAULT_SLOTS, engine.options.maxRunning), engine.ledger);
    const assertLoaded = (): void => {
      if (Date.now() < engine.startedAtMs + (options.loadMs ?? 0)) throw loadingError();
    };
    const infer = (paths: readonly string[], api: string, run: (answer: InferenceAnswer) => Promise<void>): void => {
      for (const path of paths)
        app.inference(path, {
          api,
          leg: () => (options.role === 'both' ? 'none' : options.role),
          run: async (answer) => {
            assertLoaded();
            if (faultOf(answer.record, 'admission_503') !== undefined) throw engine.scheduler.overloaded();
            const stopPings = startPings(answer, options.ssePingMs);
            await run(answer).finally(stopPings);
          },
        });
    };
    const openAi = openAiOf(engine, slots);
    infer(['/completion', '/completions'], 'completion', (answer) => completion(engine, slots, answer));
    infer(['/v1/completions'], 'completions', (answer) => answerOpenAi(openAi, 'completions', answer));
    infer(['/v1/chat/completions', '/chat/completions'], 'chat', (answer) => answerOpenAi(openAi, 'chat', answer));
    registerSlots(app, { slots, options, contextLength: engine.options.maxModelLen, assertLoaded });
    registerTools(app, engine, slots, assertLoaded);
  },
};
