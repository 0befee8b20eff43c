import { legOf, type InferenceRequest, type JsonObject } from '@baton/inference';
import type { LegSite } from '@baton/remotes';
import type { HandoffDescriptor, KvConnector } from '../connectors/kv-connector.js';

/** A leg that would be sent, or why it is not known what it would be. */
export interface SketchedLeg {
  readonly role: 'prefill' | 'decode' | 'whole';
  readonly leg?: InferenceRequest;
  readonly note?: string;
}

/** Both legs of a split request, with placeholders for what is only known when they run. Nothing is sent. */
export function splitLegs(
  connector: KvConnector,
  request: InferenceRequest,
  { prefill, decode }: { readonly prefill: LegSite; readonly decode: LegSite },
): readonly SketchedLeg[] {
  const agreed = agreedOn(connector, request, prefill, decode);
  const note = agreed.note === undefined ? {} : { note: agreed.note };
  return [
    { ...sketched('prefill', () => connector.prefillLeg(request, agreed.agreed)), ...note },
    { ...decodeLeg(connector, request, agreed.agreed), ...note },
  ];
}

/** The one leg of a request that is not split. */
export function wholeLeg(request: InferenceRequest): SketchedLeg {
  return { role: 'whole', leg: legOf(request, request.body) };
}

function agreedOn(
  connector: KvConnector,
  request: InferenceRequest,
  prefill: LegSite,
  decode: LegSite,
): { readonly agreed: JsonObject; readonly note?: string } {
  if (connector.rendezvous === undefined) return { agreed: {} };
  const unsketched = { agreed: {}, note: 'What both legs agree on before they are sent is not shown.' };
  if (connector.sketch === undefined) return unsketched;
  try {
    const isFirst = connector.contract.decoder === 'first';
    return { agreed: connector.sketch(request, { prefill, decode: isFirst ? decode : undefined }) };
  } catch (error) {
    return { ...unsketched, note: `They could not agree: ${messageOf(error)}` };
  }
}

function decodeLeg(connector: KvConnector, request: InferenceRequest, agreed: JsonObject): SketchedLeg {
  let known: HandoffDescriptor | undefined;
  try {
    // Some protocols know it before P has answered.
    known = connector.handoffOf(undefined, agreed);
  } catch {
    known = undefined;
  }
  const leg = sketched('decode', () => connector.decodeLeg(request, known ?? UNKNOWN_HANDOFF));
  return known === undefined ? { note: AFTER_PREFILL, ...leg } : leg;
}

function sketched(role: SketchedLeg['role'], make: () => InferenceRequest): SketchedLeg {
  try {
    return { role, leg: make() };
  } catch (error) {
    return { role, note: `It cannot be shown before it is run: ${messageOf(error)}` };
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const AFTER_PREFILL = 'Its handoff is what the prefill will answer.';

/** Stands for what P will answer. */
const UNKNOWN_HANDOFF: HandoffDescriptor = { params: { placeholder: '[from-the-prefill]' } };
