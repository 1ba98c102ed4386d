# Without a scheduler that ever ran no worker has anything to lose: nobody is waited for.
given cluster demo replicas=2
given trouble demo-scheduler ErrImagePull saying no such image
given trouble demo-default/{0..1} ErrImagePull saying no such image
scale demo-default 1
expect poll
expect no delete
fails saying connection refused
expect delete Deployment demo-default/1 saying never worked
