/** Text or bytes that should be an address, prefix, MAC or port and are not. */
export class AddressError extends Error {
  override readonly name = "AddressError";
}
