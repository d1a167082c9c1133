"""The local ChatGPT: a page on which plugins are installed and talked to.

Takes plugins' addresses and what a person does on the page. Gives a small HTTP API and the files of the page.
"""
