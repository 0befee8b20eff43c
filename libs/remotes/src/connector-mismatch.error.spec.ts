import { InferenceError } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { ConnectorMismatchError } from './connector-mismatch.error.js';

describe('ConnectorMismatchError', () => {
  it('is an error of the upstream side, with a code of its own', () => {
    const error = new ConnectorMismatchError('P speaks another protocol.');
    expect(error).toBeInstanceOf(InferenceError);
    expect(error).toMatchObject({ status: 502, code: 'connector_mismatch', message: 'P speaks another protocol.' });
  });
});
