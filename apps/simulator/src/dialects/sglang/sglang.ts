import type { Engine } from '../../engine/engine.js';
import { flatError, type ErrorWriter } from '../../http/error-body.js';
import type { InferenceAnswer } from '../../http/answer.js';
import { faultOf } from '../../http/request-record.js';
import { stringOf } from '../../json.js';
import type { App } from '../../http/app.js';
import type { Dialect } from '../dialect.js';
import { answerOpenAi } from '../openai/openai-answer.js';
import { generate, GenerateStreamError } from './generate.js';
import { openAiOf } from './openai.js';
import type { SglangOptions } from './sglang-options.js';
import { registerTools } from './tools.js';

const errorBody: ErrorWriter = (error) =>
  error instanceof GenerateStreamError ? { error: { message: error.message } } : flatError(error);

/** SGLang's server. Its `role` is its `--disaggregation-mode`. */
export const sglang: Dialect = {
  name: 'sglang',
  register(app, engine, options: SglangOptions) {
    app.errorBody = errorBody;
    app.protects = (path) => !path.startsWith('/health') && path !== '/metrics' && !path.startsWith('/sim');
    const openAi = openAiOf(engine);
    const infer = (path: string, api: string, run: (answer: InferenceAnswer) => Promise<void>): void =>
      app.inference(path, {
        api,
        leg: () => (options.role === 'both' ? 'none' : options.role),
        run: async (answer) => {
          if (faultOf(answer.record, 'admission_503') !== undefined) throw engine.scheduler.overloaded();
          await run(answer);
        },
      });
    infer('/v1/chat/completions', 'chat', (answer) => answerOpenAi(openAi, 'chat', answer));
    infer('/v1/completions', 'completions', (answer) => answerOpenAi(openAi, 'completions', answer));
    infer('/generate', 'generate', (answer) => generate(engine, answer, options));
    registerAbort(app, engine);
    registerTools(app, engine, options);
  },
};

/** An abort ends every request whose id begins with the given one. */
function registerAbort(app: App, engine: Engine): void {
  app.route('POST', '/abort_request', async (exchange) => {
    const body = await exchange.json();
    const rid = stringOf(body['rid']) ?? '';
    const isAll = body['abort_all'] === true;
    if (isAll || rid !== '') for (const run of [...engine.runs]) if (isAll || run.job.id.startsWith(rid)) run.abort();
    exchange.send(200, undefined);
  });
}
