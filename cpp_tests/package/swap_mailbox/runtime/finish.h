// The consumer's side of the small scheduler.
#ifndef FINISH_H_
#define FINISH_H_

struct AICoreCompletionMailbox;

// Polls once. Returns how many tasks have completed, or the negative error code.
int finish_tasks(AICoreCompletionMailbox &mailbox);

// Whose headers the library has.
const char *finish_mailbox_by();

#endif // FINISH_H_
