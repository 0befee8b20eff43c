import { InferenceError } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { PluginScan } from '../dto/admin/plugin-requests.js';
import { PolicyPatch, PolicyRollback } from '../dto/admin/policy-requests.js';
import { StrictBodyPipe } from './strict-body.pipe.js';

/** What is said of a body: the field at fault, and the code. */
function refusalOf(bodyClass: new () => object, body: unknown): unknown {
  try {
    new StrictBodyPipe(bodyClass).transform(body);
    return undefined;
  } catch (error) {
    if (!(error instanceof InferenceError)) throw error;
    expect(error.status).toBe(400);
    return [error.param, error.code];
  }
}

const patch = (...managers: unknown[]): object => ({ managers });

describe('StrictBodyPipe', () => {
  it('hands a valid body on as it came', () => {
    const body = patch({
      ...{ name: 'a', enabled: true, priority: -5, canaryPercent: 0.5, canaryHeader: 'x-user', shadow: false },
      disaggregateWhen: { apis: ['chat'], minPromptTokens: 1, models: ['m'], header: { name: 'x', value: '' } },
    });
    expect(new StrictBodyPipe(PolicyPatch).transform(body)).toBe(body);
    expect(refusalOf(PolicyPatch, patch({ name: 'a', enabled: null, disaggregateWhen: null, priority: null }))).toBe(
      undefined,
    );
  });

  it('takes no body for an empty one', () => {
    expect(new StrictBodyPipe(PluginScan).transform(undefined)).toEqual({});
    expect(refusalOf(PolicyPatch, undefined)).toEqual(['managers', 'missing_required_parameter']);
    expect(refusalOf(PluginScan, null)).toEqual([null, null]);
    expect(refusalOf(PluginScan, [])).toEqual([null, null]);
  });

  it.each([
    [{ managers: [{ name: 'a' }], force: true }, 'force'],
    [patch({ name: 'a', enable: true }), 'managers[0].enable'],
    [patch({ name: 'a' }, { name: 'b', constructor: 1 }), 'managers[1].constructor'],
    [patch({ name: 'a', disaggregateWhen: { minTokens: 1 } }), 'managers[0].disaggregateWhen.minTokens'],
    [
      patch({ name: 'a', disaggregateWhen: { header: { name: 'x', values: [] } } }),
      'managers[0].disaggregateWhen.header.values',
    ],
  ])('refuses the unknown field of %j', (body, field) => {
    expect(refusalOf(PolicyPatch, body)).toEqual([field, 'unknown_parameter']);
  });

  it.each([
    [{ managers: {} }, 'managers'],
    [patch(), 'managers'],
    [patch('a'), 'managers[0]'],
    [patch({ name: '' }), 'managers[0].name'],
    [patch({ name: 'a', enabled: 'yes' }), 'managers[0].enabled'],
    [patch({ name: 'a', priority: 1.5 }), 'managers[0].priority'],
    [patch({ name: 'a', canaryPercent: 101 }), 'managers[0].canaryPercent'],
    [patch({ name: 'a', canaryHeader: 'a b' }), 'managers[0].canaryHeader'],
    [patch({ name: 'a', shadow: 1 }), 'managers[0].shadow'],
    [patch({ name: 'a', disaggregateWhen: { apis: ['chats'] } }), 'managers[0].disaggregateWhen.apis[0]'],
    [patch({ name: 'a', disaggregateWhen: { apis: [] } }), 'managers[0].disaggregateWhen.apis'],
    [patch({ name: 'a', disaggregateWhen: { maxChoices: 0 } }), 'managers[0].disaggregateWhen.maxChoices'],
    [{ ...patch({ name: 'a' }), reason: 'x'.repeat(501) }, 'reason'],
  ])('refuses the wrong type in %j', (body, field) => {
    expect(refusalOf(PolicyPatch, body)).toEqual([field, null]);
  });

  it('wants the version of a rollback', () => {
    expect(refusalOf(PolicyRollback, { version: 3 })).toBeUndefined();
    expect(refusalOf(PolicyRollback, {})).toEqual(['version', 'missing_required_parameter']);
    expect(refusalOf(PolicyRollback, { version: '3' })).toEqual(['version', null]);
    expect(refusalOf(PolicyRollback, { version: -1 })).toEqual(['version', null]);
  });
});
