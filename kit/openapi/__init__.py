"""Anyone's OpenAPI document, read.

Takes the bytes of a document: OpenAPI 3.0 to 3.2 or Swagger 2.0, JSON or YAML. Gives a `Spec` with its `Operation`s,
every reference resolved, and the `Problem`s that were found on the way. Knows no server and no HTTP.
"""
