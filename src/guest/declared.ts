/** A sub-value in map or list form. */
export type DeclaredScalar = string | number | boolean;

/** Map form of a property string. A `null` sub-key must be absent. */
export type DeclaredMap = { readonly [subKey: string]: DeclaredScalar | readonly DeclaredScalar[] | null };

/** What may stand behind a config key: Proxmox's own text, a number, a list, a map; `null`: must be absent. */
export type DeclaredValue = DeclaredScalar | readonly DeclaredScalar[] | DeclaredMap | null;
