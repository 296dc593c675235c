/** No address can be given; the message names the domain and its pools. Tried again until there is room. */
export class AddressesExhaustedError extends Error {
  override readonly name = "AddressesExhaustedError";
}
