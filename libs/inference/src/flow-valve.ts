import { BehaviorSubject, distinctUntilChanged, type Observable } from 'rxjs';

/**
 * Back-pressure of one request. RxJS has none of its own: the sink closes the valve when the client takes no
 * more, and every source of that request (a socket, a decode loop) pauses while it is closed.
 */
export class FlowValve {
  readonly #open = new BehaviorSubject(true);

  /** Emits the present state on subscription and then each change; true means that sources may produce. */
  readonly state$: Observable<boolean> = this.#open.pipe(distinctUntilChanged());

  get isOpen(): boolean {
    return this.#open.value;
  }

  open(): void {
    this.#open.next(true);
  }

  close(): void {
    this.#open.next(false);
  }
}
