/// Tells ThreadSanitizer what the slow paths of Swift's Synchronization.Mutex do; see MutexEvents.c.
///
/// In force by being linked: nothing calls this.
extern const int kv_tells_mutex_events;
