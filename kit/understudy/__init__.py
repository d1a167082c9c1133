"""A stand-in for a language model: an OpenAI-compatible server for people without a key, and for CI.

It is not a language model and says so in the model name of every reply. It chooses an operation by the
words of names, descriptions, parameters and enums, takes the arguments from the user's own words,
and reports the result from the data. The same conversation always gets the same answer.

    with kit.understudy.serve() as understudy:
        client = openai.OpenAI(base_url=understudy.base_url, api_key="none")

From the sentence to the wire: `sentence` finds words and values (`dates` those of time), `slots` reads tools,
`candidates` finds what an argument may be, `features` what speaks for it, `weights` what that counts; `filling` is
the search for the arguments of a tool, `choice` that for the tool. `dialogue` follows the conversation with `memory`,
`prose` writes the answers, `requests`, `responses` and `app` speak OpenAI's protocol.
"""

from kit.understudy.app import Understudy, make_app, serve, shared, shared_url
from kit.understudy.responses import MODEL

__all__ = ["MODEL", "Understudy", "make_app", "serve", "shared", "shared_url"]
