import { jest } from '@jest/globals';

// End-to-end tests start real processes that load a model. (Jest reads `testTimeout` globally, not per project.)
jest.setTimeout(60_000);
