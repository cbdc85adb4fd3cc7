"""How the OpenAPI document names the two ways to say who asks."""

KEY_SCHEME = "merchant_key"
SESSION_SCHEME = "session"
