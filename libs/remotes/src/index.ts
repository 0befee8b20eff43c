export * from './endpoint.js';
export * from './http/remote-client.js';
export * from './pickers/endpoint-picker.js';
export * from './pickers/static.picker.js';
export * from './remote-pool.js';
export * from './remote-unavailable.error.js';
