import { errorCodes, type FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { BodyBytes } from './body-bytes.js';

/**
 * Reads the body of a request, with the bounds and errors of Fastify's own `parseAs: 'buffer'`, but without holding
 * a long body twice at its end.
 *
 * @throws FastifyError 413 when it is larger than the limit; 400 when it is cut off or not as long as announced.
 */
export async function readBody(request: FastifyRequest, payload: IncomingMessage): Promise<Buffer> {
  const limit = request.routeOptions.bodyLimit;
  const announced = Number(request.headers['content-length']);
  if (announced > limit) throw new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE();

  return new Promise((resolve, reject) => {
    const body = new BodyBytes(announced);
    const fail = (error: Error): void => {
      forget();
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      body.add(chunk);
      if (body.length > limit) fail(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE());
    };
    const onEnd = (): void => {
      if (!Number.isNaN(announced) && body.length !== announced) {
        fail(new errorCodes.FST_ERR_CTP_INVALID_CONTENT_LENGTH());
        return;
      }
      forget();
      resolve(body.take());
    };
    const onError = (error: Error): void => fail(Object.assign(error, { statusCode: 400 }));
    const forget = (): void => {
      payload.off('data', onData).off('end', onEnd).off('error', onError);
    };
    payload.on('data', onData).on('end', onEnd).on('error', onError);
    payload.resume();
  });
}
