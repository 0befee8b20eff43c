import { Callers, Disaggregated, InferenceAnswer, Leg } from '@baton/coordination';
import {
  ANONYMOUS,
  bytesPart,
  SSE_DONE,
  sseEvent,
  type Caller,
  type InferenceRequest,
  type ResponsePart,
} from '@baton/inference';
import {
  Body,
  Controller,
  HttpCode,
  Injectable,
  Post,
  UnauthorizedException,
  UseGuards,
  UsePipes,
  type CanActivate,
  type ExecutionContext,
  type PipeTransform,
} from '@nestjs/common';
import { IsInt, IsString, Min, MinLength } from 'class-validator';
import type { FastifyRequest } from 'fastify';
import { Observable } from 'rxjs';

/** A request body of the team's own. */
export class StoryRequest {
  @IsString()
  @MinLength(1)
  prompt!: string;

  @IsInt()
  @Min(1)
  max_tokens!: number;
}

/** Lets in who knows the word. */
@Injectable()
export class WordGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { headers } = context.switchToHttp().getRequest<FastifyRequest>();
    if (headers['x-word'] !== 'baton') throw new UnauthorizedException();
    return true;
  }
}

/** Knows its friends, whose legs count. */
@Injectable()
export class StoryCallers extends Callers {
  override callerOf({ headers }: FastifyRequest): Caller {
    return headers['x-friend'] === 'yes' ? { trust: 'peer', label: 'friend' } : ANONYMOUS;
  }
}

/** Writes the prompt in capitals, so that a test sees whether it ran. */
@Injectable()
export class ShoutPipe implements PipeTransform {
  transform(value: unknown): unknown {
    return value instanceof Object && 'prompt' in value
      ? { ...value, prompt: String(value.prompt).toUpperCase() }
      : value;
  }
}

/** What the handler was called with, and how many of its local executions are running. */
export const seen: { bodies: unknown[]; running: number } = { bodies: [], running: 0 };

/** A controller that a team has already; `@Disaggregated()` is all that Baton adds to it. */
@Controller('stories')
@UseGuards(WordGuard)
@UsePipes(ShoutPipe)
export class StoryController {
  @Post()
  @HttpCode(200)
  @Disaggregated()
  tell(@Body() body: StoryRequest, @Leg() leg: InferenceRequest): InferenceAnswer | object {
    seen.bodies.push(body);
    const params = leg.body['kv_transfer_params'];
    if (params instanceof Object && 'do_remote_decode' in params && params.do_remote_decode === true) {
      const port = Number(process.env['STORY_SIDE_CHANNEL_PORT']);
      return {
        choices: [{ index: 0, text: '', finish_reason: 'length' }],
        kv_transfer_params: {
          kv_connector: 'embedded',
          do_remote_prefill: true,
          do_remote_decode: false,
          remote_engine_id: 'story',
          remote_request_id: 'story-1',
          remote_host: '127.0.0.1',
          remote_port: port,
        },
      };
    }
    return new InferenceAnswer(ticking(), leg);
  }
}

/** Counts for ever, so that only leaving ends it. */
function ticking(): Observable<ResponsePart> {
  return new Observable((subscriber) => {
    seen.running += 1;
    let count = 0;
    const timer = setInterval(() => {
      count += 1;
      subscriber.next(bytesPart(sseEvent({ choices: [{ index: 0, text: ` ${count}`, finish_reason: null }] })));
      if (count === 1_000) subscriber.next(bytesPart(SSE_DONE));
    }, 5);
    return () => {
      clearInterval(timer);
      seen.running -= 1;
    };
  });
}
