import { stringifyJson, type InferenceRequest, type JsonObject } from '@baton/inference';
import { RequestRecording } from './request-recording.js';

/** The recording of a client's request, if there is one. */
export function recordingOf({ trace }: InferenceRequest): RequestRecording | undefined {
  return trace instanceof RequestRecording ? trace : undefined;
}

/** The recording that the answer to `request` has to carry, if its caller may ask for that and has. */
export function inlineRecordingOf(request: InferenceRequest): RequestRecording | undefined {
  const recording = recordingOf(request);
  return recording?.isInline === true ? recording : undefined;
}

/** An answer with the record of its request. */
export function withRecord(body: JsonObject, recording: RequestRecording): JsonObject {
  return { ...body, [FIELD]: recording.view() };
}

/** The same for the text of an answer; what is no JSON object stays as it is. */
export function textWithRecord(text: Buffer, recording: RequestRecording): Buffer {
  const end = text.lastIndexOf('}');
  const start = text.indexOf('{');
  const isObject = end > start && start >= 0 && isBlank(text.subarray(0, start)) && isBlank(text.subarray(end + 1));
  if (!isObject) return text;
  // Digits beyond what a `number` holds stay as they came: the text is not read.
  const separator = isBlank(text.subarray(start + 1, end)) ? '' : ',';
  const member = `${separator}"${FIELD}":${stringifyJson(recording.view())}}`;
  return Buffer.concat([text.subarray(0, end), Buffer.from(member)]);
}

/** What ends a stream whose client asked for the record: a comment, which readers of server-sent events pass over. */
export function closingComment(recording: RequestRecording): string {
  return `: baton-explain ${stringifyJson(recording.view())}\n\n`;
}

const FIELD = 'baton_explain';

const isBlank = (bytes: Buffer): boolean => bytes.every((byte) => byte <= 0x20);
