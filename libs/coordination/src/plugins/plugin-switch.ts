import { Injectable } from '@nestjs/common';
import { PolicyControl } from '../policy/policy-control.js';
import { ManagerRegistry } from '../registry/manager-registry.js';

/** Who switches managers off by itself, in the audit of the policies. */
const BATON = 'baton';

/** Whether the managers of plugins are asked, as policies say. */
@Injectable()
export class PluginSwitch {
  constructor(
    private readonly policies: PolicyControl,
    private readonly managers: ManagerRegistry,
  ) {}

  /** Has the managers not asked any more. @throws InferenceError as {@link PolicyControl.change} */
  async off(names: readonly string[], reason: string): Promise<void> {
    const changes = names.map((name) => ({ name, enabled: false }));
    await this.policies.change(changes, { who: BATON, reason });
  }

  /** Has them asked again, unless configuration or author say otherwise. @throws InferenceError as {@link off} */
  async on(names: readonly string[], reason: string): Promise<void> {
    const changes = names.map((name) => ({ name, enabled: null }));
    await this.policies.change(changes, { who: BATON, reason });
  }

  /** Whether one of them is asked. */
  isOn(names: readonly string[]): boolean {
    return names.some((name) => this.managers.table.get(name)?.enabled === true);
  }

  /** Tells that policies have changed. */
  get changes(): PolicyControl['changes'] {
    return this.policies.changes;
  }
}
