/** A fault has ended an answer: nothing more is to be written. */
export class Faulted extends Error {
  override readonly name = 'Faulted';
}
