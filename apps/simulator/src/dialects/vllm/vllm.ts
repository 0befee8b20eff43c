import { nestedError } from '../../http/error-body.js';
import { faultOf } from '../../http/request-record.js';
import type { InferenceAnswer } from '../../http/answer.js';
import type { Engine } from '../../engine/engine.js';
import type { Dialect, DialectOptions } from '../dialect.js';
import { registerAbort } from './abort.js';
import { chat } from './chat.js';
import { complete } from './completions.js';
import { registerDerender } from './derender.js';
import { generate, markedParams } from './generate.js';
import { legOf, topLevelParams } from './leg.js';
import { registerRender } from './render.js';
import { registerTools } from './tools.js';

type Api = (engine: Engine, answer: InferenceAnswer, options: DialectOptions) => Promise<void>;

/** vLLM's OpenAI server with the scale-out endpoints on, or, with `tokensOnly`, its token server. */
export const vllm: Dialect = {
  name: 'vllm',
  register(app, engine, options) {
    app.errorBody = nestedError;
    app.protects = (path) => path.startsWith('/v1') || path.startsWith('/inference');
    const infer = (path: string, api: string, run: Api, paramsOf = topLevelParams): void =>
      app.inference(path, {
        api,
        leg: (body, exchange) => legOf(paramsOf(body), exchange.header('x-request-id'), body, options),
        run: async (answer) => {
          if (faultOf(answer.record, 'admission_503') !== undefined) throw engine.scheduler.overloaded();
          await run(engine, answer, options);
        },
      });
    if (!options.tokensOnly) {
      infer('/v1/completions', 'completions', complete);
      infer('/v1/chat/completions', 'chat', chat);
      registerRender(app, engine, options);
      registerDerender(app, options);
    }
    infer('/inference/v1/generate', 'generate', generate, markedParams);
    registerAbort(app, engine, options);
    registerTools(app, engine, options);
  },
};
