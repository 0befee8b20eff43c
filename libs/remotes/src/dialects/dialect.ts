import type { InferenceRequest, JsonObject } from '@baton/inference';
import { applyDecorators, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';

/** The kinds of engine servers that differ on the wire and that come with Baton. */
export type InTreeDialectName = 'openai' | 'vllm' | 'sglang' | 'trtllm' | 'llamacpp';

/** A kind of engine servers: one that comes with Baton, or that an application or a plugin has registered. */
export type DialectName = InTreeDialectName | (string & {});

/** A call to an engine server. */
export interface DialectCall {
  readonly path: string;
  readonly body: JsonObject;
}

/**
 * Turns one answer from a server's own form into the field's (OpenAI's, or vLLM's for the token endpoint). May keep
 * state: one is made for each answer. What it does not know (an error object) goes on as it is, for the check of the
 * answer to judge.
 */
export interface AnswerTranslator {
  /**
   * Of an answer that is not streamed: any JSON value, since some servers answer several choices with a list.
   *
   * @throws InferenceError 502 when the answer lacks what the field's form needs.
   */
  whole(body: unknown): JsonObject;
  /**
   * Of one event of a stream; as many events as it stands for.
   *
   * @throws InferenceError 502 when the event lacks what the field's form needs.
   */
  event(data: JsonObject): readonly JsonObject[];
  /** For a server that sends no end mark: whether every choice has ended. Left out for those that send one. */
  isWhole?(): boolean;
}

/** What a scheduler reads, under the names that a server gives it. Source: llm-d-router `pkg/epp`, metric map. */
export interface DialectMetrics {
  readonly waiting: string;
  readonly running: string;
  /** 0 to 1. */
  readonly kvUsage?: string;
}

/** What differs between the engine servers of the field. One file each; nothing else in Baton knows their names. */
export interface Dialect {
  readonly name: DialectName;
  /** The call that runs `leg`. @throws InferenceError 501 for an api, or a parameter, that the server does not have. */
  call(leg: InferenceRequest): DialectCall;
  /** Undefined when the server's answers are in the field's form already. */
  translator?(leg: InferenceRequest): AnswerTranslator | undefined;
  /** The call that ends `leg` on the server; undefined when closing its connection is the only way. */
  abort(leg: InferenceRequest): DialectCall | undefined;
  /** `GET`; 2xx means healthy. */
  readonly healthPath: string;
  /** Undefined when the server names none that are known. */
  readonly metrics?: DialectMetrics;
  /** Whether it may have vLLM's render and derender paths; one that has not answers 404. */
  readonly renders: boolean;
}

/** What a dialect is registered under. */
export interface DialectOptions {
  /** The name that a configuration selects it by; the same as {@link Dialect.name}. */
  readonly name: string;
}

/** A fixed key, so that a plugin's own copy of this package is found as well. */
export const DialectMetadata = Reflector.createDecorator<DialectOptions>({ key: 'baton:dialect' });

/** Registers a provider as a {@link Dialect}. */
export const NamedDialect = (options: DialectOptions): ClassDecorator =>
  applyDecorators(DialectMetadata(options), Injectable());
