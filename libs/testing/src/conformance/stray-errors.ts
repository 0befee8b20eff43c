/** What nobody caught, from now until it is stopped. */
export interface StrayErrors {
  stop(): readonly unknown[];
}

const EVENTS = ['unhandledRejection', 'uncaughtException'] as const;

/** Listens for what nobody in this process catches, and keeps it from ending the process. */
export function strayErrors(): StrayErrors {
  const errors: unknown[] = [];
  const note = (error: unknown): void => void errors.push(error);
  for (const event of EVENTS) process.on(event, note);
  return {
    stop: () => {
      for (const event of EVENTS) process.off(event, note);
      return errors;
    },
  };
}
