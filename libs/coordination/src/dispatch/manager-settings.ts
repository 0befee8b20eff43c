import type { InferenceApi } from '@baton/inference';

/** What a configuration says of one manager; what it does not say stays as the manager's decorator has it. */
export interface ManagerSettings {
  /** The name that the manager is registered under. */
  readonly name: string;
  /** False takes the manager out of the policy table. Default true. */
  readonly enabled?: boolean;
  /** In place of the decorator's: a lower number is asked first. */
  readonly priority?: number;
  /** The manager is asked only for requests of which all of this holds. Default: for every request. */
  readonly disaggregateWhen?: DisaggregateWhen;
  /** The share of those requests that it is asked for, in percent: 0 to 100, with fractions. Default 100. */
  readonly canaryPercent?: number;
  /** The client's header whose value decides which requests are of that share. Default: the id of the request does. */
  readonly canaryHeader?: string;
  /** True: it is asked and what it says is written down, but the next manager answers. Default false. */
  readonly shadow?: boolean;
}

/** A condition on requests. All that is given has to hold; nothing given holds always. */
export interface DisaggregateWhen {
  /** Tokens of the prompt: exact when it is token ids, else estimated from its bytes (see `PromptSize`). */
  readonly minPromptTokens?: number;
  /** UTF-8 bytes of the prompt's text. */
  readonly minPromptBytes?: number;
  readonly apis?: readonly InferenceApi[];
  /** Values of the request's `model`. A request without one is of none of them. */
  readonly models?: readonly string[];
  /** Choices that the client asks for (`n`). */
  readonly maxChoices?: number;
  /** A header that the client sent, with this value when one is given. Credentials and cookies are never seen. */
  readonly header?: { readonly name: string; readonly value?: string };
}
