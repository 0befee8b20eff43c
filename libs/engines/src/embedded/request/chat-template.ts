import { randomBytes } from 'node:crypto';
import { invalidRequest } from '@baton/inference';
import { Template } from '@huggingface/jinja';
import type { ChatMessage } from './chat-messages.js';

/** A piece of a rendered prompt: the template's own text, or what a message says. */
export interface PromptPiece {
  readonly kind: 'markup' | 'text';
  readonly text: string;
}

/**
 * A model's own chat template.
 *
 * What messages say never enters the template: it is rendered with random words in its place, which nobody can
 * guess, and the result is cut at these words. So a user cannot write the template's marks.
 */
export class ChatTemplate {
  readonly #template: Template;
  readonly #marks: { readonly bos_token: string; readonly eos_token: string };

  constructor(source: string, beginText: string, endText: string) {
    this.#template = new Template(source);
    this.#marks = { bos_token: beginText, eos_token: endText };
  }

  /** @throws InferenceError 400 when the template refuses the messages (for example two from a user in a row). */
  render(messages: readonly ChatMessage[], addGenerationPrompt: boolean): PromptPiece[] {
    const secret = randomBytes(16).toString('hex');
    const text = this.#text(
      messages.map(({ role }, index) => ({ role, content: `[${secret}.${index}]` })),
      addGenerationPrompt,
    );
    return text
      .split(new RegExp(`\\[${secret}\\.(\\d+)\\]`))
      .map((piece, index): PromptPiece =>
        index % 2 === 0
          ? { kind: 'markup', text: piece }
          : { kind: 'text', text: messages[Number(piece)]?.content ?? '' },
      )
      .filter((piece) => piece.text !== '');
  }

  #text(messages: readonly ChatMessage[], addGenerationPrompt: boolean): string {
    try {
      return this.#template.render({ ...this.#marks, messages, add_generation_prompt: addGenerationPrompt });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw invalidRequest(`The model's chat template refuses these messages: ${reason}`, 'messages');
    }
  }
}
