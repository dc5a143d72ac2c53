"""The other services that Mainstay can stand on, each behind a small port: queue, and what joins it.

An adapter speaks boto3 and raises the domain's errors. It knows neither operations nor applications, and nothing
relies on it for being right: what a queue loses is found in the wake index.
"""
