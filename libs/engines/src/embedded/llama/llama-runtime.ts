import { stat } from 'node:fs/promises';
import path from 'node:path';
import { getLlama, getModuleVersion, LlamaLogLevel, type LlamaContext, type TokenBias } from 'node-llama-cpp';
import { decodeAndPrefillInTurn } from './batch-order.js';
import { fileDigest } from '../support/file-digest.js';
import { fingerprint } from './fingerprint.js';
import type { ResolvedOptions } from '../options.js';
import { threadCount } from './thread-count.js';
import { tokenBias } from './token-bias.js';
import { vocabularyOf, type Vocabulary } from './vocabulary.js';

/** The loaded model with its context. */
export interface LlamaRuntime {
  readonly context: LlamaContext;
  readonly vocabulary: Vocabulary;
  readonly modelName: string;
  /** Unix time in seconds at which the model file was last changed. */
  readonly created: number;
  /** Two engines with the same fingerprint can read each other's KV states. */
  readonly fingerprint: string;
  /** The model's Jinja chat template. */
  readonly chatTemplate: string | undefined;
  /** Biases for the sampler: what is added to the logit of each token, -Infinity to rule it out. */
  tokenBias(biases: ReadonlyMap<number, number>): TokenBias;
  dispose(): Promise<void>;
}

/** Loads llama.cpp's binary, the model and a context. It never compiles or downloads anything. */
export async function loadLlama(options: ResolvedOptions): Promise<LlamaRuntime> {
  const threads = threadCount(options.threads, options.instancesOnMachine);
  const file = await stat(options.model);
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    usePrebuiltBinaries: true,
    progressLogs: false,
    maxThreads: threads,
    logLevel: LlamaLogLevel.warn,
    logger: (level, message) => options.log?.(level === LlamaLogLevel.warn ? 'warn' : 'error', message.trim()),
  });
  try {
    const [model, modelDigest] = await Promise.all([
      llama.loadModel({ modelPath: options.model }),
      fileDigest(options.model),
    ]);
    const context = await model.createContext({
      contextSize: options.contextTokens === 0 ? model.trainContextSize : options.contextTokens,
      sequences: options.sequences,
      batchSize: options.batchTokens,
      threads,
      flashAttention: model.flashAttentionSupported,
      batching: { itemPrioritizationStrategy: decodeAndPrefillInTurn() },
    });
    return {
      context,
      vocabulary: vocabularyOf(model),
      modelName: options.modelName ?? path.basename(options.model, '.gguf'),
      created: Math.floor(file.mtimeMs / 1000),
      fingerprint: fingerprint({
        modelDigest,
        library: await getModuleVersion(),
        sequences: options.sequences,
        kvTypes: `${context.kvCacheKeyType}/${context.kvCacheValueType}`,
        flashAttention: String(context.flashAttention),
      }),
      chatTemplate: model.fileInfo.metadata.tokenizer.chat_template,
      tokenBias: (biases) => tokenBias(model, biases),
      dispose: () => llama.dispose(),
    };
  } catch (error) {
    await llama.dispose();
    throw error;
  }
}
