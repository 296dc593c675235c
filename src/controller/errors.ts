/** No address can be given; the message names the domain and its pools. Tried again until there is room. */
export class AddressesExhaustedError extends Error {
  override readonly name = "AddressesExhaustedError";
}

/** A pod cannot have its Endpoint, as somebody made one of its name for something else. Tried again until that is gone. */
export class NameTakenError extends Error {
  override readonly name = "NameTakenError";
}

/** An agent does not prove the node that it speaks for. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
}

/** The controllers' authority cannot be used as it is stored; the message says what to do. */
export class AuthorityError extends Error {
  override readonly name = "AuthorityError";
}

/** What was asked for in annotations cannot be given. Tried again, as it may be free later, or asked for in another way. */
export class AddressRequestError extends Error {
  override readonly name = "AddressRequestError";
}
