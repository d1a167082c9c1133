"""Reads OpenAPI documents, whoever wrote them.

Takes the bytes of a document: OpenAPI 3.0 to 3.2 or Swagger 2.0, JSON or YAML. Returns a `Spec` with its
`Operation`s, every reference resolved, and the `Problem`s in it. Knows no server and no HTTP.
"""
