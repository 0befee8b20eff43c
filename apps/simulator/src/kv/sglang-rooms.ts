import { EngineError } from '../engine/engine-error.js';
import { untilWoken } from '../engine/pause.js';
import type { JsonObject } from '../json.js';

/** What both requests get that were in one room. */
export const schedulerCrash = (room: string): EngineError =>
  new EngineError(500, `Scheduler hit an exception: bootstrap_room ${room} is in use already`);

/** One room, as long as anybody is in it. */
interface Room {
  prefills: number;
  decodes: number;
  cache: JsonObject | undefined;
  /** The decode has the cache and copies it. */
  fetched: boolean;
  taken: boolean;
  crash: EngineError | undefined;
  readonly wakes: Set<() => void>;
}

/** The bootstrap server of a prefill: who is in which room. */
export class SglangRooms {
  readonly #rooms = new Map<string, Room>();

  constructor(readonly counts: Record<string, number>) {}

  /** A prefill comes. It is not in the room when this throws. */
  enter(id: string): void {
    const room = this.#open(id);
    if (room.prefills > 0 || room.crash !== undefined) throw this.#crash(id, room);
    room.prefills = 1;
  }

  /** The prefill leaves: nothing more will be had from it. */
  leave(id: string): void {
    const room = this.#rooms.get(id);
    if (room === undefined) return;
    room.prefills = 0;
    room.cache = undefined;
    room.fetched = false;
    room.taken = false;
    this.#forget(id, room);
  }

  /** Whether the decode is at the cache of the prefill now. */
  isTransferring(id: string): boolean {
    const room = this.#rooms.get(id);
    return room?.cache !== undefined && !room.taken && (room.decodes > 0 || room.fetched);
  }

  /** Waits until a decode is in the room. */
  joined(id: string, signal: AbortSignal): Promise<void> {
    return this.#until(id, (room) => room.decodes > 0, signal);
  }

  /** Gives the decode what it waits for, and waits until it has it. */
  async hand(id: string, cache: JsonObject, signal: AbortSignal): Promise<void> {
    const room = this.#open(id);
    room.cache = cache;
    wake(room);
    await this.#until(id, ({ taken }) => taken, signal);
  }

  /** A decode has come: it is answered when there is something for it. A failed prefill is no answer. */
  async join(id: string, signal: AbortSignal): Promise<JsonObject> {
    const room = this.#open(id);
    this.#count('joined');
    if (room.decodes > 0) throw this.#crash(id, room);
    room.decodes = 1;
    wake(room);
    try {
      await this.#until(id, ({ cache }) => cache !== undefined, signal);
      room.fetched = true;
      this.#count('handed');
      return room.cache ?? {};
    } finally {
      room.decodes = 0;
      this.#forget(id, room);
    }
  }

  taken(id: string): JsonObject {
    const room = this.#rooms.get(id);
    if (room === undefined || room.prefills === 0) return { known: false };
    this.#count('taken');
    room.taken = true;
    wake(room);
    return { known: true };
  }

  async #until(id: string, isReady: (room: Room) => boolean, signal: AbortSignal): Promise<void> {
    const room = this.#open(id);
    for (;;) {
      if (room.crash !== undefined) throw room.crash;
      if (isReady(room)) return;
      await untilWoken((woken) => {
        room.wakes.add(woken);
        return () => room.wakes.delete(woken);
      }, signal);
    }
  }

  /** Everybody in the room fails. */
  #crash(id: string, room: Room): EngineError {
    this.#count('duplicate_room');
    const error = schedulerCrash(id);
    room.crash = error;
    wake(room);
    return error;
  }

  #open(id: string): Room {
    const room = this.#rooms.get(id) ?? {
      prefills: 0,
      decodes: 0,
      cache: undefined,
      fetched: false,
      taken: false,
      crash: undefined,
      wakes: new Set<() => void>(),
    };
    this.#rooms.set(id, room);
    return room;
  }

  #forget(id: string, room: Room): void {
    if (room.prefills === 0 && room.decodes === 0 && this.#rooms.get(id) === room) this.#rooms.delete(id);
  }

  #count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }
}

function wake({ wakes }: Room): void {
  for (const woken of [...wakes]) woken();
}
