### Words of the pages in English. vi.ftl has the same ids.

skip = Skip to content
navigation = Navigation
nav-overview = Overview
nav-alerts = Alerts
nav-incidents = Incidents
nav-search = Search
nav-sources = Log sources
nav-rules = Rules
nav-account = Account
exercise = EXERCISE
other-language = Tiếng Việt
theme = Theme
theme-system = As the system
theme-light = Light
theme-dark = Dark
language = Language
sign-in = Sign in
sign-out = Sign out
sign-in-refused = The user name or the password is wrong.
sign-in-notice = Every sign-in is written to the audit log.
user = User
name = Name
role = Role
role-admin = Administrator
role-analyst = Analyst
role-ward = Ward focal point
role-auditor = Independent auditor
role-ingest = Log sender
scope = Scope
scope-all = The whole city
account-who = Who you are
password = Password
password-old = Current password
password-new = New password
password-again = New password again
password-change = Change password
password-differs = The two passwords differ.
password-short = The password is too short or too long.
password-wrong = The current password is wrong.
user-wrong = A user name has plain letters, digits and . - _ @ only.
setup-title = Set up the administrator
setup-intro = This link works once. Choose the password of the first administrator.
setup-do = Create account
save = Save
keys = Keyboard
key-rows = Down and up in a table
key-open = Open the selected row
key-slash = To the search field ( / )
key-reload = Load new rows
key-go = Go to alerts, incidents, search, sources, rules
search-hint = Search events, for example host.name:"portal" AND sshd
search-do = Search
query = Query
printed = Printed
to-start = To the start page
request-id = Request id
last-event = Last event
units-reporting = Units reporting in 24 h:
news = New alerts are waiting, load them:
alerts-open = Open alerts
alerts-by-level = Open by severity
incidents-open = Open incidents
sources-silent = Silent sources
four-layers = The four layers
most-urgent = Most urgent
events-by-hour = Events by hour, last 24 h
alerts-none = No matching alerts.
alerts-none-here = This incident has no alerts yet.
data-flows = Data keeps arriving.
incidents-none = No matching incidents.
sources-none = No source has sent anything yet.
rules-none = No matching rules.
level = Severity
level-lower = severity
level-critical = Critical
level-high = High
level-medium = Medium
level-low = Low
level-informational = Informational
what = What happened
unit = Unit
count = Count
first-seen = First seen
last-seen = Last seen
number = No.
title = Title
layer = Layer
layer-on-site = Layer 1 – On-site force
layer-monitoring = Layer 2 – Professional monitoring
layer-assessment = Layer 3 – Independent assessment
layer-national = Layer 4 – National link
layer-state-not-involved = Not involved
layer-state-current = In charge
layer-state-handed-over = Handed over
layer-state-done = Done
take-next = Take the next one
take = Take
release = Release
presets = Presets
preset-open = Open
preset-unowned = Nobody has it
preset-mine = Mine
preset-urgent = Urgent and open
preset-closed = Closed
text-inside = Text
status = Status
any = Any
any-open = Open
alert-status-new = New
alert-status-acknowledged = Acknowledged
alert-status-closed = Closed
incident-status-new = New
incident-status-active = Active
incident-status-closed = Closed
verdict = Verdict
verdict-true-positive = True positive
verdict-benign-positive = Benign positive
verdict-false-positive = False positive
verdict-undetermined = Undetermined
sort = Order
sort-urgency = Most urgent
sort-newest = Newest
sort-oldest = Oldest
sort-count = Most matches
filter = Filter
rule = Rule
by-rule = By rule
entities = Entities
actions = Actions
incident = Incident
alert = see the alert
false-positive-short = False…
close-false = Close as false positive
note-why = Why
next-page = Next page
nobody = Nobody
time = Time
time-happened = Happened
time-received = Received
time-stored = Stored
event = Event
field = Field
value = Value
matched = matched
more-fields = More fields
original = Original record
cut = cut
hex = Hexadecimal
why = Why it fired
why-none = No matched conditions are kept for this alert.
condition = Condition of the rule
around-link = Events around
around-title = Events around
rule-sentence = What its alerts say
rule-description = What it looks for
false-positive-unknown = Unknown
false-positive-unlikely = Unlikely
false-positive-likely = Likely
false-positive-none = None known
false-positive-administration = Legitimate administration
false-positive-use = Legitimate use
false-positive-scanners = Vulnerability scanners
false-positives = Known false positives
rule-text = Rule text
rule-id = Rule id
author = Author
reference = Reference
logsource = Log source
correlation = Correlation rule
owner = Owner
owner-lower = owner
open-incident = Open an incident
add-to-incident = Add to an incident
close-alert = Close the alert
choose = Choose…
reopen = Reopen
note = Note
add-note = Add a note
history = History
history-none = Nobody has touched it.
entry-opened = Opened
entry-event = Event
entry-alert = Alert
entry-note = Note
entry-status = Status
entry-severity = Severity
entry-owner = Owner
entry-handover = Hand-over
entry-title = Title
entry-closed = Closed
entry-reopened = Reopened
opened-at = Opened
changed-at = Changed
timeline = Timeline
hand-over = Hand over
to-layer = To layer
to-whom = To whom
on-duty = Whoever is on duty
reason = Reason
close-incident = Close the incident
start-work = Start working
range = Range
range-1 = Last hour
range-6 = Last 6 hours
range-24 = Last 24 hours
range-168 = Last 7 days
range-720 = Last 30 days
range-own = From – to
from = From
to = To
syntax-error = The query does not parse:
incomplete = The result is incomplete:
permalink = permanent link
histogram = Events over time
found-none = No events in this range.
host = Host
dataset = Dataset
content = Content
event-title = Event { $id }
span = Before and after
span-10 = 10 seconds
span-60 = 1 minute
span-300 = 5 minutes
span-900 = 15 minutes
span-3600 = 1 hour
host-same = Same host
host-all = All hosts
state = State
source = Source
source-active = Active
source-silent = Silent
source-quiet = Quiet, as usual
source-never = Never sent
input = Input
received = Received
stored = Stored
rejected = Rejected
duplicate = Duplicate
dead-lettered = Not understood
balance = Balance
balanced = balanced
unbalanced = OFF
balance-rule = Balance: received = stored + rejected + duplicate. What is not understood is kept and can be searched.
forwarders = Forwarders of the wards
forwarder = Forwarder
forwarder-contact = Last contact
forwarder-waiting = Waiting there
forwarder-repeated = Sent again
forwarder-lost = Will not come
forwarders-how = A forwarder numbers its records in three lanes: 1 high, 2 normal, 3 low priority. Numbers that will not come are named here by range; nothing that was sent again is stored twice.
gap-full = its spool was full
gap-damaged = its disk was damaged
gap-too-large = too large
gap-unexplained = no reason given
source-search = Find records
source-hours = Receipt book by hour
source-hour = Hour of receipt
source-open-hour = still running
source-no-hours = Nothing was received in this time.
source-bad = rejected or not understood:
source-missing = Missing
source-clock = Clock off by
source-setting = Configured
source-reasons = Reasons
source-misnamed = Wrong profile named
source-misnamed-read = Read as another profile than named
source-misnamed-how = Most of its last records are surely of another profile than the one named for it. They are read as what they are; correct the name in its [[source]], input or token.
source-gaps = Missing numbers
source-gaps-said = { $count ->
    [one] 1 number that the sender gave never came.
   *[other] { $shown } numbers that the sender gave never came.
}
source-lost = Lost before receipt
source-lost-short = lost before receipt:
source-lost-said = { $count ->
    [one] 1 datagram was dropped by the system before it could be read.
   *[other] { $shown } datagrams were dropped by the system before they could be read.
}
source-lost-how = The system's buffer for UDP was full; whose they were, nobody knows. Raise net.core.rmem_max or syslog_udp_sockets, or send over TCP or TLS.
source-days = { $count ->
    [one] 1 day
   *[other] { $shown } days
}
source-checked = agrees with the store
source-differs = OFF: the store counts
outage-title = Planned outage
outage-plan = Plan an outage
outage-for = For how long, from now
outage-hours = { $count ->
    [one] 1 hour
   *[other] { $shown } hours
}
outage-how = Until then the source may be silent without an alert. It ends by itself; who planned it and why is kept.
rhythm-title = Silence
rhythm-unknown = Not watched for silence yet: too little is known of its rhythm (a day and a night at least).
rhythm-steady = Speaks at all hours.
rhythm-planned = Speaks at certain times, as jobs do.
rhythm-office = Switched on and off by people: one day off is no silence, the second is.
rhythm-usual = Usual silence now, up to
rhythm-alarm = Alarms after
rhythm-how = Learned from the past five weeks; on nine of ten days it is not silent for longer than usual.
for-seconds = { $count ->
    [one] 1 second
   *[other] { $shown } seconds
}
for-minutes = { $count ->
    [one] 1 minute
   *[other] { $shown } minutes
}
for-hours = { $count ->
    [one] 1 hour
   *[other] { $shown } hours
}
for-days = { $count ->
    [one] 1 day
   *[other] { $shown } days
}
outage-until = No alert until
outage-end = End it now
done-outage = The outage is planned.
done-outage-ended = It has ended; the source is watched again.
source-hours-how = Hours are those of receipt. Clock off by = time in the record minus time of receipt, the median; ± is the width of the middle half.
done-taken = You have taken it.
done-released = It is back in the queue.
done-closed = Closed.
done-reopened = Reopened.
done-noted = Note added.
done-added = Alert added to the incident.
done-opened = Incident opened.
done-changed = Changed.
done-handed-over = Handed over.
done-saved = Saved.
done-none = There is no alert left that nobody has.
refusal-stale = Somebody else has just changed it; look again and retry.
refusal-already-taken = Somebody else has taken it.
refusal-already-closed = It is closed already.
refusal-not-closed = It is not closed.
refusal-note-missing = A reason is needed.
refusal-verdict-missing = A verdict is needed.
refusal-same-layer = The incident is at that layer already.
refusal-unknown-user = No such person, or one who cannot be given this.
refusal-unknown-alert = No such alert.
refusal-in-other-incident = The alert belongs to another incident.
refusal-text-length = The text is empty or too long.
refusal-other-count = That is not the number of events that was counted.
refusal-wrong-state = That cannot be done in this state.
refusal-full = A limit is reached.
error-bad-request = The request makes no sense.
error-unauthorized = Sign in first.
error-forbidden = Your role may not do this; ask an administrator.
error-wrong-origin = The form is out of date or does not come from this site.
error-not-found = Not found, or not within your scope.
error-wrong-method = That method is not served here.
error-too-large = What was sent is too large.
error-rate-limited = Too many tries; wait 10 minutes.
error-syntax = The query does not parse.
error-problems = There are problems, so nothing was changed.
error-busy = The system is busy.
error-internal = Something went wrong on the server.
advice-back = Go back, reload the page and try again.
advice-later = Try again in a few minutes; if it stays, give the request id to an administrator.
advice-start = Check the address or go to the start page.
ago-seconds =
    { $count ->
        [one] 1 second ago
       *[other] { $shown } seconds ago
    }
ago-minutes =
    { $count ->
        [one] 1 minute ago
       *[other] { $shown } minutes ago
    }
ago-hours =
    { $count ->
        [one] 1 hour ago
       *[other] { $shown } hours ago
    }
ago-days =
    { $count ->
        [one] 1 day ago
       *[other] { $shown } days ago
    }
alerts-of-incident =
    { $count ->
        [one] 1 alert of this incident
       *[other] { $shown } alerts of this incident
    }
bytes =
    { $count ->
        [one] 1 byte
       *[other] { $shown } bytes
    }
correlated =
    { $count ->
        [one] 1 matching event by
       *[other] { $shown } matching events by
    }
dead-letters-day =
    { $count ->
        [one] 1 record not understood
       *[other] { $shown } records not understood
    }
events-day =
    { $count ->
        [one] 1 event in 24 h
       *[other] { $shown } events in 24 h
    }
events-of-alert =
    { $count ->
        [one] 1 event of this alert
       *[other] { $shown } events of this alert
    }
facets-over =
    { $count ->
        [one] counted over 1
       *[other] counted over { $shown }
    }
found =
    { $count ->
        [one] 1 event
       *[other] { $shown } events
    }
found-at-most =
    { $count ->
        [one] at most 1 event
       *[other] at most { $shown } events
    }
incidents-closed =
    { $count ->
        [one] 1 closed
       *[other] { $shown } closed
    }
more-events =
    { $count ->
        [one] and 1 more event
       *[other] and { $shown } more events
    }
of-sources =
    { $count ->
        [one] of 1 source
       *[other] of { $shown } sources
    }
password-rule =
    { $count ->
        [one] At least 1 character.
       *[other] At least { $shown } characters; a long sentence you remember is best.
    }
detection-behind =
    { $count ->
        [one] rules are 1 event behind
       *[other] rules are { $shown } events behind
    }
silent-now =
    { $count ->
        [one] 1 source is silent
       *[other] { $shown } sources are silent
    }
unowned =
    { $count ->
        [one] 1 without owner
       *[other] { $shown } without owner
    }
timeline-title = Timeline of findings
timeline-findings = Findings
timeline-files = Files read
timeline-events = Events
timeline-dead-letters = Records not parsed
timeline-rules = Rules run
timeline-rules-failed = rules did not load
timeline-made = Made at
timeline-empty = No rule matched any event.
timeline-by-rule = By rule
timeline-level = Level
timeline-rule = Rule
timeline-first = First
timeline-last = Last
timeline-in-order = In order of time
timeline-hidden = findings are not listed here; use the format csv or jsonl for all of them.
timeline-time = Time
timeline-host = Host
timeline-what = Finding and values
timeline-note = This page is one file; it loads nothing and sends nothing.
nav-exceptions = Exceptions
nav-risks = Risk
exceptions-none = No exceptions yet. Make one from an alert's page.
exceptions-ending = { $count ->
    [one] { $shown } exception ends soon
   *[other] { $shown } exceptions end soon
  }
exception-number = Exception #{ $number }
exception-how = Comparison
exception-when = Hidden when
exception-until = Until
exception-hidden = Hidden
exception-fault = This exception hides nothing now
exception-because = Why it is expected
exception-sigma = Sigma filter
exception-known-hidden = Known attacks hidden (accepted)
exception-from = Made from alert
exception-set-end = Change the end
exception-set-owner = Give to somebody else
exception-end = End it
exception-make = Make an exception
exception-from-alert = This is expected…
exception-choose = Every chosen condition must hold. The more conditions, the narrower the exception.
exception-shared = Holds in
exception-preview = { $count ->
    [one] { $shown } alert would have been hidden
   *[other] { $shown } alerts would have been hidden
  }
exception-looked-at = { $count ->
    [one] of { $shown } alert of this rule, past 30 days
   *[other] of { $shown } alerts of this rule, past 30 days
  }
exception-partial = there are more; known attacks and then the newest were looked at, as many as five seconds allow
exception-open-alerts = No verdict yet
exception-hides-attacks = It would hide alerts whose verdict is an attack:
exception-hides-samples = It would hide attack samples that come with the rule:
exception-hides-nothing = No alert of that time would have been hidden.
exception-show = Preview
exception-first-show = Preview it first, then make it.
exception-accept = I accept that known attacks are hidden too
exception-step-open = Made
exception-step-set-end = End changed
exception-step-set-owner = Given to
exception-step-end = Ended
standing-active = In force
standing-ending = Ends soon
standing-expired = Expired
standing-ended = Ended
how-equals = equals
how-startswith = starts with
how-endswith = ends with
how-contains = contains
how-cidr = in network
refusal-hides-known = It would hide a known attack; preview it and say that this is accepted.
refusal-bad-test = No condition was chosen, or one makes no sense.
refusal-bad-end = The end must be after today and within a year.
risks-none = No alerts in the past 14 days.
risk-rule = Score = rule level × importance × repetition × freshness, summed over rules in 14 days. Alerts closed as false or benign count nothing; attacks count double.
risk-entity = Entity
risk-score = Score
risk-parts = Made of
risk-weight = Level
risk-importance = Importance
risk-repetition = Repetition
risk-freshness = Freshness
risk-points = Points
nav-proof = Data integrity
proof-what = Every segment and what people did stand in a signed log; whoever keeps a head finds every change of what was before it.
proof-trouble = The log of the proof is not gone on with, or behind:
proof-head = Newest head
proof-signed-at = Signed at
proof-covers = Entries signed / written
proof-log = Log
proof-root = Root
proof-key = Public key
proof-head-text = The head, as it is kept
proof-head-get = Get as a file
copy = Copy
copied = Copied.
copied-not = Not copied: choose the text and copy it by hand.
proof-keep = Keep the lines above elsewhere (on paper, with another office): nhatle verify --head then says whether the store was altered or put back.
stamp-title = Time-stamp by an authority (RFC 3161)
stamp-at = Existed at or before
stamp-by = By · number
stamp-covers = Entries it covers / written
stamp-none = No head has a time-stamp yet.
stamp-trouble = The authority was asked last without success; it is asked again:
stamp-damage = The newest time-stamp does not hold:
stamp-not-chained = Who vouched for the authority was not looked at: proof.timestamp_ca names nobody.
stamp-what = Evidence packages under that head hold it; nhatle verify and openssl ts check it without this server.
check-title = Check of the whole store
check-begun = Asked for
check-done = Done
check-with = Heads compared that were kept
check-runs = The check runs; all files are read.
check-look = Look again
check-not = The check could not be done:
check-fine = Nothing was altered.
check-found = { $count ->
    [one] 1 finding.
   *[other] { $shown } findings.
}
check-file = File
check-place = Byte
check-what = What should be there and what is
check-row = row
check-more = More findings are not shown; nhatle verify prints all of them.
check-never = No check was asked for since the start. This one does what nhatle verify does.
check-heads = Heads that were kept elsewhere, as text (may be empty). Only they tell whether the whole store was put back to an older copy.
check-deep = Make the hash of every stored event again too (takes long)
check-deep-was = every stored event too
check-start = Check now
done-check = The check has begun.
refusal-no-head = That is no signed head: it must be copied whole, from the first line to the last.
proof-none = No head was signed yet.
evidence-package = Evidence package
evidence-what = The alerts, events and changes of this incident with their proofs; nhatle verify checks it anywhere.
evidence-get = Get the package
nav-retention = Retention
retention-what = What is stored stays until a rule lets it go; what went stays known, with its root.
retention-jump = The clock jumped while nhatle ran: nothing goes until the next start.
retention-trouble = The last run did not work; it is tried again:
retention-room = Room
retention-bytes = Bytes
retention-a-day = A day, over the last week
retention-free = Free on the disk
retention-days-left = Days left if nothing goes
retention-not-known = not known yet
retention-job = Deletion and archive
retention-looks = Next run
retention-due = Segments that may go now
retention-held = Segments that only a hold keeps
retention-to-archive = Segments to be archived
retention-for-good = Segments no rule lets go
retention-run = Run now
retention-stored = What is stored
retention-nothing = Nothing is sealed yet.
retention-segments = Segments
retention-archived = In the archive
retention-events = Events
retention-rules = Rules
retention-no-rules = There is no rule: everything stays. Rules stand in the configuration ([[retention]]).
retention-all = all
retention-kinds = Kinds
retention-levels = Levels
retention-purpose = Purpose
purpose-security = Security
purpose-online-service = Online services
purpose-investigation = Investigation
purpose-internet-provider = Internet provider
retention-online = Months at hand
retention-archive = Months in the archive
retention-basis = Basis
retention-minimum = At least, by law
retention-checked = read
retention-no-advice = Of rules that speak of an event the longest counts; a month is 31 days. Bases are shown as they were read; this is no legal advice.
retention-goes = What goes
retention-state = State
retention-state-due = may go now
retention-state-held = held
retention-state-next = goes next
retention-segment = Segment
retention-stored-last = Last stored
retention-from = May go from
retention-months = Months
hold-title = Legal holds
hold-none = There is no hold.
hold-span = Happened or stored
hold-until = Holds until
hold-reason = Reason
hold-by = Placed by
hold-over = over
hold-change = Change
hold-extend = Extend
hold-release = End now
hold-place = Place a hold
retention-gone = What went
retention-gone-none = Nothing went yet.
retention-job-events = { $count ->
    [one] 1 event
   *[other] { $shown } events
}
erasure-title = Erase a person's data
erasure-what = A person's values go from what is stored when they ask for it; the events stay, and every proof stays true.
erasure-runs = Erasing, segment by segment.
erasure-progress = Segments written anew:
erasure-trouble = The last erasure broke off; it goes on when the server starts again:
erasure-count = The count before erasing
erasure-counting = Reading every event of that time, begun
erasure-beginning = Counting a last time and writing it down.
erasure-refused = Nothing was erased:
erasure-begun = Written down and being erased. Number:
erasure-receipt = Receipt
erasure-receipt-what = Write it down: it stands here only and is kept nowhere. With it and the value the city can show later that this person's request was carried out.
erasure-nothing = No event has this value.
erasure-events = Events that lose the value
erasure-named = { $shown } have it in a named field
erasure-days = Days (UTC)
erasure-segments = Segments written anew
erasure-unsealed = Not sealed yet, sealed first
erasure-fields = Fields that lose it
erasure-field = Field
erasure-held = Legal holds keep:
erasure-held-left = Those events are left out.
erasure-held-stops = Nothing can be erased while a hold keeps some of it: leave those events out, or end the hold.
erasure-not-reached = What is not reached
erasure-not-backups = backups made before: they keep what they hold until they are deleted
erasure-not-evidence = evidence packages, reports and exports that were handed out
erasure-not-register = the register: notes, exceptions and accounts that people wrote, and its sign-ins
erasure-not-state = files of state/ (counters of correlation and of sources) until they are overwritten
erasure-not-later = what arrives from now on, and what the sources themselves and the wards' forwarders still hold
erasure-not-unknown-forms = the value written in another way: encoded, shortened, with other accents, inside a longer word
erasure-not-guess = whoever holds everything else of an event, its bytes as received included, can still try values against its hash
erasure-basis = Basis (number of the request, article of the law; not the value itself)
erasure-read = I have read what is not reached. This cannot be undone.
erasure-typed = To confirm, type the number of events: { $shown }
erasure-confirm = Erase for good in { $shown } events
erasure-forget = Put away
erasure-new = New request
erasure-subject = Value (account, e-mail, IP address…)
erasure-query = Only in events that this search finds (may be empty)
erasure-asked-fields = Fields that are asked, separated by commas (empty: the usual ones)
erasure-leave-held = Leave out events under a legal hold
erasure-count-it = Count first
erasure-count-what = Counts only; nothing is erased yet. Places where the value stands inside a text count too.
erasure-done = Erased
erasure-none = No request yet.
erasure-at = When
erasure-open = not done
erasure-proof = Each erasure stands by name in the signed log; check it on
done-counting = Counting.
done-erasing = Writing it down and erasing.
done-forgotten = Put away.
done-retention = The job runs in a moment.
nav-coverage = ATT&CK coverage
alive = Alive
alive-proven = Last proven
alive-tried = Last tried
alive-canary = Canary
alive-canary-sample = a sample beside the rule
alive-canary-made = made of the rule’s condition
alive-source = Source last sent
light-green = Good
light-amber = Not known
light-red = Broken
alive-reason-proven = Its canary came through, and its source sends.
alive-reason-no-canary = It has no sample, and no canary can be made of its condition.
alive-reason-not-yet = It was not tried yet.
alive-reason-no-source = No source ever sent what it looks at.
alive-reason-source-silent = Its source has stopped sending.
alive-reason-dead-letter = Its canary could not be parsed.
alive-reason-log-source = Its canary came out as another kind of event.
alive-reason-field = Its canary lacks a field, or has another value in it.
alive-reason-correlation = The correlation counted too little.
alive-reason-lost = Its canary did not come through in time.
coverage-layer = Download the ATT&CK Navigator layer
coverage-module = Kind of source
coverage-green = techniques: rule on, data arrives, proven
coverage-amber = rule on, data or proof missing
coverage-off = rules are off
coverage-no-tactic = No tactic named
coverage-more = { $count ->
    [one] and 1 more
   *[other] and { $shown } more
  }
coverage-no-data = no data
coverage-no-proof = not proven
questions = First three questions

rules-reload = Load rules again
rules-loaded-at = Loaded
rules-loaded = { $count ->
    [one] { $shown } loads
   *[other] { $shown } load
}
rules-waiting = loaded, in force once detection has caught up
rules-retired = { $count ->
    [one] { $shown } retired by its author
   *[other] { $shown } retired by their authors
}
rules-refused = { $count ->
    [one] { $shown } does not load
   *[other] { $shown } do not load
}
rules-col-loaded = Load
rules-col-refused = Do not load
rules-col-retired = Retired
rule-packs = Imported packs
rule-pack = Pack
rule-license = License
rule-standing = State
rule-standing-on = On
rule-standing-off = Off
rule-standing-feeding = Off, still counted by a correlation
rule-enable = Switch on
rule-disable = Switch off
rule-feeds-on = A rule that is off raises no alerts of its own; correlations that use it go on counting.
rule-set-level = Change the level
rule-reset-level = Back to the level written
rule-level-written = written as
rule-counted-by = Counted by
rule-step-enable = Switched on
rule-step-disable = Switched off
rule-step-set-level = Level changed to
rule-step-reset-level = Level as written
pack-imported = Imported
previous-page = Previous page
done-loaded = Rules were loaded again.

# Previews of rules and hunts
preview = Preview of the rule
preview-open = See what it would have found
preview-then-enable = See first what the rule finds in what is stored, then switch it on.
preview-none = Nobody has previewed this rule, or the rule has changed since.
preview-behind =
    { $count ->
        [one] Detection is 1 event behind: previews and hunts wait until it has caught up.
       *[other] Detection is { $shown } events behind: previews and hunts wait until it has caught up.
    }
preview-state-waiting = Waiting for its turn
preview-state-running = On its way, newest day first; the figures below are not complete
preview-state-done = All of it was looked at
preview-state-partial = Only the newest part was looked at, within the limits of time and events
preview-state-failed = The store could not be read; the server's log says why
preview-newer =
    { $count ->
        [one] 1 newer event not counted
       *[other] { $shown } newer events not counted
    }
preview-hits = Hits
preview-a-day = Expected alerts a day
preview-alerts =
    { $count ->
        [one] 1 alert after suppression
       *[other] { $shown } alerts after suppression
    }
preview-hidden = Hidden by exceptions
preview-last = Last hit
preview-known = In alerts with a verdict
preview-looked = Looked at from
preview-events =
    { $count ->
        [one] 1 event
       *[other] { $shown } events
    }
preview-read = { $shown } of them read
preview-by-day = Hits by day
preview-sample = Newest hits
preview-units = Units with the most hits
preview-hosts = Hosts with the most hits
preview-start =
    { $count ->
        [one] Preview over the past day
       *[other] Preview over the past { $shown } days
    }
preview-reload = Reload
hunt = Hunt back
hunt-what = What the rule finds in what is stored, and nobody was told of, becomes alerts that are marked so. They join no incident by themselves.
hunt-over = Over
hunt-days =
    { $count ->
        [one] the past day
       *[other] the past { $shown } days
    }
hunt-start = Hunt back
hunt-one = A hunt is on its way; one runs at a time.
hunt-cancel = Stop
hunt-state-running = Running
hunt-state-done = Done
hunt-state-canceled = Stopped
hunt-state-full = Stopped, it found too much
hunt-state-failed = Failed
hunt-state-broken = Cut off when the server stopped
hunt-findings =
    { $count ->
        [one] 1 finding
       *[other] { $shown } findings
    }
hunt-new =
    { $count ->
        [one] 1 new alert
       *[other] { $shown } new alerts
    }
hunt-known = { $shown } known
hunt-repeats =
    { $count ->
        [one] 1 repeat
       *[other] { $shown } repeats
    }
hunt-hidden = { $shown } hidden by exceptions
alert-retro = Hunt
alert-retro-what = Found when the rule was run over what is stored, not when the event happened
done-preview = The preview is on its way.
done-hunt = The hunt has begun.
done-hunt-canceled = The hunt is being stopped.

## Whether a rule can match

matrix = Rules × sources
matrix-rules = { $count ->
    [one] 1 rule
   *[other] { $shown } rules
  }
matrix-sources = { $count ->
    [one] 1 source
   *[other] { $shown } sources
  }
matrix-any = any, but “sends no such events”
matrix-no-sources = No source of this kind has sent anything yet, so nothing can be said. Point a source here first:
matrix-no-rules = No rule stands so with the sources shown.
matrix-all = Show all
matrix-sources-before = Sources before
matrix-sources-after = More sources
matrix-sources-page = Sources, page
fit-of-rule = Which sources it can match
fit-of-source = Which rules can match this source
fit-open = Rules that can match
fit-sources = Each source that sends such events
fit-lacks = What is missing
fit-looked-for = also looked for:
fit-none = No source has sent the events this rule looks at.
fit-choose = Choose a source.
fit-no-rules = No rule looks at what this source sends.
fit-how = Learned from part of what the source sent since the start and from the newest stored events. A value not yet seen is no fault.
fit-state-can = can match
fit-state-unseen = value never seen
fit-state-missing = field missing
fit-state-indicators = needs an indicator list
fit-state-no-source = sends no such events
fit-hint-process-command-line = Switch on “Include command line in process creation events” beside the audit of process creation.
fit-hint-sysmon-instead = Windows’ own event 4688 does not have this field; install Sysmon.
fit-hint-process-audit = Switch on “Audit Process Creation” (event 4688), or better, install Sysmon.
fit-hint-sysmon = Install Sysmon and send the channel Microsoft-Windows-Sysmon/Operational.
fit-hint-script-blocks = Switch on PowerShell script block logging (event 4104).
fit-hint-modules = Switch on PowerShell module logging (event 4103).
fit-hint-audit-rule = Add a rule to auditd, such as one that records execve.
fit-hint-combined-log = Use the “combined” access log format.
fit-hint-audit-policy = Switch on the advanced audit policy for these events, and send the Security channel.
fit-hint-no-indicators = No list is in force: take one in on the page Indicators.
fit-hint-no-indicator-hit = Lists are in force; nothing that was seen of the source is on them. That is no fault.
fit-hint-channel = Have the agent on the machine send the Windows channel that the rule looks at.

# The state of intake, on every page.
intake-read-only = The disk is nearly full, so the system only reads: new records are not taken for now. Senders over TCP, RELP and HTTP wait and will send again; UDP datagrams are dropped and counted. Search and incidents go on working. Make room on the disk; intake then resumes by itself.
intake-shedding = A source sends too much: what is past its share is dropped (UDP) or has to wait (TCP, RELP, HTTP), and is counted. Other sources are not affected.
intake-behind = Records arrive faster than they are processed: search results and alerts may come late. No record is lost.

# Assets, indicators, places of addresses
nav-assets = Assets
nav-intel = Indicators
asset = Asset
asset-addresses = Addresses
asset-level = Level
asset-owner = Owner
asset-role = Role
asset-observe-only = Observe only
asset-observe-only-what = Nothing automatic is ever done to this machine.
assets-none = No asset is registered. Paste a table beside, or run: nhatle asset import FILE
assets-more = Only the first 500 are shown; nhatle asset list shows all.
assets-unknown = Seen, not registered
assets-unknown-what = Sources that send and are in no table of assets.
assets-unknown-count = { $count ->
    [one] { $shown } source is not registered
   *[other] { $shown } sources are not registered
}
assets-import = Import a table
assets-import-what = A CSV table in place of the one in force. Headings: host, address, mac, owner, importance, system level, unit, observe only, role.
assets-example = host,address,importance,system level,unit
reference-from = From
reference-problem = Cannot be read, the table before stays in force:
reference-wrong = Nothing was taken, because:
reference-paste = Paste it here
reference-take = Import
intel-what = Lists of addresses, domains, URLs, hashes and mail addresses that others publish. New events are compared as they come in; new indicators are looked for in what is stored, too.
intel-none = There is no list. Paste one beside, or run: nhatle intel import FILE --list NAME
intel-list = List
intel-indicators = Indicators
intel-age = Imported
intel-until = Ends
intel-over = Over
intel-hits = Hits
intel-remove = Remove
intel-days = { $count ->
    [one] { $shown } day
   *[other] { $shown } days
}
intel-left-out = { $shown } left out
intel-kind-ip = addresses
intel-kind-domain = domains
intel-kind-url = URLs
intel-kind-file = hashes
intel-kind-email = mail
intel-memory = Memory of the lists:
intel-import = Import a list
intel-import-what = A value a line, a CSV table, an event of MISP or a bundle of STIX 2.1. A list of the same name is replaced. Large files: nhatle intel import.
intel-list-name = Name of the list
intel-days-valid = Valid for (days)
intel-confidence = Confidence where the source says none (0–100)
intel-try = Try the whole way
intel-try-what = Send a record with this domain; an alert must show within seconds:
looked-back = Looking back
looking-back = Looking back for
looked-back-found = { $count ->
    [one] { $shown } event matches
   *[other] { $shown } events match
}
looked-back-alerts = { $count ->
    [one] { $shown } alert
   *[other] { $shown } alerts
}
looked-back-waiting = { $count ->
    [one] { $shown } indicator to be looked for
   *[other] { $shown } indicators to be looked for
}
places = Places and networks of addresses
places-none = There is no file. Run: nhatle geoip import FILE.mmdb
places-geoip-city = Countries, cities
places-geoip-asn = Autonomous systems
places-made = made
places-old = old, replace it
places-kept = Looks answered by addresses kept:
alert-looked-back = Looking back
alert-looked-back-what = The indicator came later; this event was stored before.

wizard-title = Add a source
wizard-kind = What is to send?
wizard-name = Name of the source
wizard-name-said = Letters, digits, dots, dashes. For a device: the host name in its lines, or its IP address.
wizard-host = Address of this server
wizard-host-said = The name or address as the sender sees it.
wizard-make = Make the sheet
wizard-bad-name = The name is not of a good form: 1 to 64 letters, digits, dots, dashes, underscores.
wizard-bad-host = The address of the server is not of a good form.
wizard-bad-unit = Choose a unit.
wizard-waiting = Waiting for the first line…
wizard-arrived = First line received at { $time }.
wizard-look = Look whether it has come
wizard-check = If it is not there after a minute: look at the address, the port, the firewall between, and the sender's clock.
wizard-others = Other sources that have sent since
wizard-local = This server listens on itself only (127.0.0.1): other machines do not reach it. The administrator has to change the listening addresses in the configuration.
wizard-no-tls = TLS is not switched on (server.https, collector.syslog_tls): this sheet has no code, and the line is not encrypted.
wizard-code = Enrolment code:
wizard-code-said = Works once and is shown only here. It works until
wizard-print = Print this sheet (Ctrl+P) to take it there. Do not send the code by mail or message.
kind-forward = nhatle forward
kind-rsyslog = Linux: rsyslog
kind-syslog-ng = Linux: syslog-ng
kind-fortigate = FortiGate firewall
kind-mikrotik = MikroTik router
kind-camera = Recorder or camera: Hikvision, Dahua
kind-windows = Windows: NXLog or Winlogbeat
kind-generic = Anything else with syslog
kind-said-forward = For a whole ward: takes from the devices of its network, keeps through outages, encrypted.
kind-said-rsyslog = Comes with Debian and Ubuntu; encrypted, with a certificate of its own.
kind-said-syslog-ng = Encrypted, with a certificate of its own.
kind-said-fortigate = To type into its CLI.
kind-said-mikrotik = To type into its terminal.
kind-said-camera = To fill in on the device's own page.
kind-said-windows = The Windows event log.
kind-said-generic = Access points, servers, other network devices.
sheet-forward-install = Copy the program nhatle onto the machine in the ward:
sheet-forward-config = Write into the file /etc/nhatle/ward.toml:
sheet-forward-start = Start it; once it says that it is enrolled, make it a service:
sheet-forward-devices = On the devices of the ward, write this machine's address and port 5514 as syslog server.
sheet-install = Open a terminal and type:
sheet-certificate = Get a certificate for the code. The fingerprint printed must be the same as behind the # sign; if it differs, stop and call the city:
sheet-rsyslog-file = Write into the file /etc/rsyslog.d/90-nhatle.conf:
sheet-syslog-ng-file = Write into the file /etc/syslog-ng/conf.d/nhatle.conf:
sheet-restart = Restart, and send a line to try:
sheet-fortigate = In the CLI console of the FortiGate type:
sheet-fortigate-zone = Check time zone (GMT+7) and NTP in System › Settings.
sheet-mikrotik = In WinBox open New Terminal and type:
sheet-mikrotik-firewall = To log what the firewall drops:
sheet-hikvision = Hikvision: Configuration › System › Security › Log Server (on some: Maintenance › Log). Enable it; address and port:
sheet-dahua = Dahua: Setup › System › Log › Remote Log. Enable it; address and port:
sheet-camera-clock = Switch on NTP and choose the time zone GMT+7 on the device, so that its times are right.
sheet-token = The administrator makes a token on the server; write it in place of TOKEN below:
sheet-nxlog = NXLog: write into C:\Program Files\nxlog\conf\nxlog.conf (ca.pem is the city's certificate, copied from the server):
sheet-winlogbeat = Or Winlogbeat: write into winlogbeat.yml:
sheet-generic = Under syslog or remote log of the device choose a line: protocol, address, port:
enrollments = Codes and certificates
enrollments-none = No code has been given out.
enrollment-by = Given by
enrollment-expires = Code works until
enrollment-used = Used
enrollment-not-after = Certificate holds until
enrollment-revoke = Revoke
enrollment-standing-open = Waits to be used
enrollment-standing-expired = Ran out unused
enrollment-standing-enrolled = Enrolled
enrollment-standing-outlived = Certificate has run out
enrollment-standing-revoked = Revoked
refused-title = Senders refused lately
refused-none = No sender has been refused since the start.
refused-at = Last at
refused-address = Address
refused-name = Name in its certificate
refused-count = Times
refused-certificate-expired = Its certificate has expired.
refused-certificate-not-yet-valid = Its certificate is not valid yet: a clock is wrong.
refused-certificate-of-other-authority = Its certificate is not of this city's authority.
refused-certificate-revoked = Its certificate was revoked.
refused-certificate-bad = Its certificate is not for clients, has no name or is damaged.
refused-certificate-missing = It has no certificate, and one is required here.
refused-distrusts-us = It does not trust the server's certificate: it lacks the city's ca.pem.
refused-tls-version = It speaks a TLS version older than 1.2.
refused-no-common-algorithm = It has no TLS algorithm in common with us.
refused-plain-text = It sends plain text to a TLS port.
refused-too-slow = It did not finish its handshake in time.
refused-too-many-handshakes = It has too many handshakes open at once.
refused-broken = It broke off the handshake.
refused-proxy-header-missing = It is a balancer and sent no good PROXY header.
refused-proxy-header-foreign = It sent a PROXY header and is no balancer of ours.
suggestion = Perhaps:
did-you-mean = Did you mean
found-so-far =
    { $count ->
        [one] 1 event so far
       *[other] { $shown } events so far
    }
count-exactly = count exactly
counted-exactly = counted exactly
facets-over-newest =
    { $count ->
        [one] counted over the newest 1
       *[other] counted over the newest { $shown }
    }
searched-first = Shown first: searched back to
searched-share = Searched { $share } %
searched-to = back to { $at }
searched-all = Searched to the end.
search-all = Search to the end
search-stop = Stop
search-stopped = stopped; the result is of this part only
search-failed = The search did not end; the result is of a part only.
top-values = Field to count
top-show = Count
top-distinct =
    { $count ->
        [one] 1 value
       *[other] { $shown } values
    }
user-all = Any account
user-same = The same account
key-around = Events around ( a )
tail-title = Live tail
tail-do = Follow
tail-now = The newest events that match.
tail-running = Running: new events come at the bottom.
tail-paused = Paused
tail-waiting = new lines waiting
tail-dropped = lines not shown, more came than can be drawn
tail-lost = The connection is lost; trying again.
tail-idle = Ended, because nobody was looking. Load the page to follow again.
tail-pause = Pause (p)
tail-resume = Go on (p)
tail-no-script = Without JavaScript nothing comes by itself; load the page again to see what is new.
error-searches-full = Too many searches run at once. Wait until one of them ends, or stop one.
error-canceled = The search was stopped.
error-too-much = The answer would take more memory than one search may. Ask for fewer rows or a shorter time.
error-sql-refused = The query is not answered.
error-sql-failed = The query met a value it cannot work with.
error-sql-too-much = The query takes more memory, or gives more, than one query may.
error-sql-too-long = The query took too long and was ended.
explain-open = How this was searched
explain-test = Test
explain-how = Answered by
explain-asked = Segments asked
explain-without = without a hit
explain-may = Rows that may match
explain-sure = surely
explain-how-entry = entry of the index
explain-how-entry-then-rows = entries of the index, then rows
explain-how-dictionary = dictionary of the index
explain-how-dictionary-then-rows = dictionary of the index, then rows
explain-how-times = times of the rows
explain-how-rows = rows only
explain-segments = Segments
explain-segments-all = in all
explain-segments-out-of-time = out of the time range, not opened
explain-segments-counted-whole = counted whole, not opened
explain-segments-filtered = ruled out by the filter over their words, not opened
explain-segments-no-time = no row in the time range
explain-segments-no-unit = no row of these units
explain-segments-no-field = no row with the field
explain-segments-no-words = words or values not in the index
explain-segments-candidates = may match
explain-segments-not-reached = not reached yet
explain-rows = Rows
explain-rows-stored = stored in segments
explain-rows-in-memory = in memory
explain-rows-in-memory-matched = of these, matched
explain-rows-candidates = may match, by the index
explain-rows-sure = of these, sure without reading
explain-rows-looked-at = read and looked at
explain-rows-fetched = read in full for this page
explain-rows-for-facets = read to count values
explain-read = Files
explain-read-indexes-kept = indexes still in memory
explain-read-indexes-read = indexes read
explain-read-index-bytes = their bytes
explain-read-groups = row groups touched
explain-read-pages = pages touched
explain-time = Time in µs
explain-time-memory-us = events in memory
explain-time-index-us = indexes
explain-time-rows-us = looking at rows
explain-time-fetch-us = reading the page
explain-time-summary-us = bars and values
explain-time-first-us = until the first hits
explain-time-all-us = in all
