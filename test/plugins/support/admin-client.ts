/** An answer of an admin route. */
export interface AdminAnswer {
  readonly status: number;
  readonly etag: string | null;
  readonly body: Record<string, unknown>;
  /** Of an error, in OpenAI's shape; empty texts when it is none. */
  readonly error: { readonly code: string; readonly message: string };
}

/** A plugin, as `GET /admin/plugins` has it. */
export interface ListedPlugin {
  readonly name: string;
  readonly version: string;
  readonly status: string;
  readonly provides: readonly string[];
  readonly contentHash: string;
  readonly loads: number;
  readonly failures: number;
  readonly reason?: string;
  readonly fix?: string;
  readonly code?: string;
}

/** A manager in the policy table, as `GET /admin/policies` has it. */
export interface ListedManager {
  readonly name: string;
  readonly origin: string;
  readonly enabled: boolean;
  readonly isSwitchedOff: boolean;
  readonly position: number | null;
  readonly priority: number;
  readonly canaryPercent: number;
  readonly shadow: boolean;
}

/** The label of the key: who did it, in an audit. */
export const OPERATOR = 'tester';
export const ADMIN_KEY = 'an-admin-key-of-the-plugin-tests';

/** An operator: calls the admin routes of one instance. */
export class AdminClient {
  constructor(
    readonly url: string,
    private readonly key: string | null = ADMIN_KEY,
  ) {}

  async call(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<AdminAnswer> {
    const response = await fetch(`${this.url}/admin/${path}`, {
      method,
      headers: {
        ...(this.key !== null && { authorization: `Bearer ${this.key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const parsed = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
    const { code = '', message = '' } = (parsed['error'] ?? {}) as { code?: string | null; message?: string };
    return {
      status: response.status,
      etag: response.headers.get('etag'),
      body: parsed,
      error: { code: code ?? '', message },
    };
  }

  scan(): Promise<AdminAnswer> {
    return this.call('POST', 'plugins');
  }

  load(name: string): Promise<AdminAnswer> {
    return this.call('PUT', `plugins/${encodeURIComponent(name)}`);
  }

  unload(name: string): Promise<AdminAnswer> {
    return this.call('DELETE', `plugins/${encodeURIComponent(name)}`);
  }

  /** Every plugin that the instance knows. */
  async plugins(): Promise<readonly ListedPlugin[]> {
    const { status, body } = await this.call('GET', 'plugins');
    if (status !== 200) throw new Error(`GET /admin/plugins: ${status} ${JSON.stringify(body)}`);
    return body['plugins'] as readonly ListedPlugin[];
  }

  async plugin(name: string): Promise<ListedPlugin | undefined> {
    return (await this.plugins()).find((plugin) => plugin.name === name);
  }

  policies(): Promise<AdminAnswer> {
    return this.call('GET', 'policies');
  }
}
