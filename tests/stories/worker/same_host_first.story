# Of two peers with the same priority, the one on our host is asked first; the other has nothing left then.
set transfer-count-limit 1
compute y where x=b,self.2
expect gather x from self.2
expect transfers = 1
