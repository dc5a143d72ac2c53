"""Published applications, there and back: any folder of manifests on control planes where nothing can run.

Promises to judge Mainstay from outside: what is there is read past it (`judge`), and what is broken is chosen by
chance (`damage`). Must not know how a plan is made. How to try it on manifests of one's own stands in
`docs/applications.md`.
"""
