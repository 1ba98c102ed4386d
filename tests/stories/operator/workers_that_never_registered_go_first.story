# Whoever the scheduler does not know holds nothing: it goes at once, before any that works.
given cluster demo replicas=3
given runs demo-scheduler demo-default/0 demo-default/2
given trouble demo-default/1 ImagePullBackOff saying no such image
given registered demo-default/0
given registered demo-default/2
answers
scale demo-default 2
expect delete Deployment demo-default/1 saying does not know
expect no ask
expect no patch
