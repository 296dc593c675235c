// How agents find controllers, trust them and prove themselves where nobody makes certificates by hand. The controllers
// have an authority of their own (a Secret that they alone read) and publish its certificate with their addresses in a
// ConfigMap. An agent shows the token of its service account, which the API server has bound to its pod and thereby to
// its node.

/** Name that controllers' certificates are for, whatever address they are reached by. */
export const controllerServerName = "isobar-controller";

/** Audience of the agents' tokens: one that is made for the controllers opens nothing else. */
export const tokenAudience = "isobar-controller";

/** ConfigMap in the controllers' namespace with the two keys below. */
export const publishedName = "isobar-controllers";
export const publishedAuthorityKey = "ca.crt";
/** One `HOST:PORT` a line. */
export const publishedAddressesKey = "addresses";
