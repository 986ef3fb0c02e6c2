"""The lab's Gateway API implementation: a controller that drives HAProxy from HTTPRoutes, Services and pods.

model, routes, pools, plan, render, runtime and status are pure; store keeps what the API said (and when it counts);
api, haproxy and health are the edges; controller joins them.
"""
