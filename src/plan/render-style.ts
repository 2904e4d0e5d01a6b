type Paint = (text: string) => string;

/** How a plan's parts look. Injected, so that what is printed stays a pure function of the plan. */
export interface PlanStyle {
  readonly guest: Paint;
  readonly added: Paint;
  readonly changed: Paint;
  readonly removed: Paint;
  readonly power: Paint;
  readonly warning: Paint;
  readonly faint: Paint;
}

const asIs: Paint = (text) => text;

/** For files, pipes and NO_COLOR. */
export const PLAIN_STYLE: PlanStyle = {
  guest: asIs, added: asIs, changed: asIs, removed: asIs, power: asIs, warning: asIs, faint: asIs,
};

const RESET = "\u001b[0m";
const colour = (code: string): Paint => (text) => `\u001b[${code}m${text}${RESET}`;

/** For terminals: the sixteen basic colours, which follow the person's own theme. */
export const COLOUR_STYLE: PlanStyle = {
  guest: colour("1"),
  added: colour("32"),
  changed: colour("33"),
  removed: colour("31"),
  power: colour("36"),
  warning: colour("35"),
  faint: colour("2"),
};
