version=2
# Ours, for the lines that the bench sends: what our own normalizers read of them, as far as liblognorm's parsers can.
rule=auth:sshd: %event.action:word% %method:word% for invalid user %user.name:word% from %source.ip:ipv4% port %source.port:number% ssh2
rule=auth:sshd: %event.action:word% %method:word% for %user.name:word% from %source.ip:ipv4% port %source.port:number% ssh2
rule=auth:sshd: %event.action:word% %method:word% for %user.name:word% from %source.ip:ipv4% port %source.port:number% ssh2: %key.type:word% %key.hash:rest%
rule=auth:sshd: Received disconnect from %source.ip:ipv4% port %source.port:number%:%code:number%: %event.reason:rest%
rule=auth:%app:char-to:\x3a%: pam_unix(%pam.service:char-to:\x3a%:session): session opened for user %user.effective.name:char-to:(%(uid=%user.effective.id:number%) by (uid=%user.id:number%)
rule=auth:%app:char-to:\x3a%: pam_unix(%pam.service:char-to:\x3a%:session): session opened for user %user.effective.name:char-to:(%(uid=%user.effective.id:number%) by %user.name:char-to:(%(uid=%user.id:number%)
rule=auth:%app:char-to:\x3a%: pam_unix(%pam.service:char-to:\x3a%:session): session closed for user %user.name:word%
rule=auth:sudo: %user.name:word% : TTY=%tty:word% ; PWD=%process.working_directory:word% ; USER=%user.effective.name:word% ; COMMAND=%process.command_line:rest%
rule=cron:CRON: (%user.name:char-to:)%) CMD (%process.command_line:rest%
rule=service:systemd: %event.action:word% %service.name:word% - %service.description:rest%
rule=service:systemd: %service.name:char-to:\x3a%: %event.reason:rest%
rule=service:chronyd: Selected source %source.ip:ipv4% (%source.domain:char-to:)%), offset %offset:word% s
rule=mail:postfix/smtpd: connect from %source.domain:char-to:[%[%source.ip:ipv4%]
rule=mail:postfix/smtpd: disconnect from %source.domain:char-to:[%[%source.ip:ipv4%] %counts:rest%
rule=mail:postfix/smtpd: %email.local_id:char-to:\x3a%: client=%source.domain:char-to:[%[%source.ip:ipv4%]
rule=mail:postfix/cleanup: %email.local_id:char-to:\x3a%: message-id=<%email.message_id:char-to:>%>
rule=mail:postfix/virtual: %email.local_id:char-to:\x3a%: to=<%email.to.address:char-to:>%>, relay=%relay:char-to:,%, delay=%delay:char-to:,%, dsn=%dsn:char-to:,%, status=%status:word% (%event.reason:char-to:)%)
rule=mail:dovecot: imap-login: Login: user=<%user.name:char-to:>%>, method=%method:char-to:,%, rip=%source.ip:ipv4%, lip=%destination.ip:ipv4%, mpid=%pid:number%, TLS
rule=dns:dnsmasq: query[%dns.question.type:char-to:]%] %dns.question.name:word% from %source.ip:ipv4%
rule=dns:dnsmasq: cached %dns.question.name:word% is %dns.resolved_ip:ipv4%
rule=firewall:kernel: [%uptime:char-to:]%] FW-DROP: %.:v2-iptables%
rule=audit:audisp-syslog: type=%event.action:word% msg=audit(%time:char-to:\x3a%:%event.sequence:number%): %.:name-value-list%
rule=device:nvr: health: %.:name-value-list%
rule=device:nvr: motion: channel=%channel:number% %state:word%
rule=device:nvr: user added: %.:name-value-list%
rule=device:nvr: config export: %.:name-value-list%
rule=device:nvr: login ok: %.:name-value-list%
rule=device:nvr: login failed: %.:name-value-list%
rule=backup:saoluu: sao luu %host.name:char-to:\x3a%: %megabytes:number% MB, %errors:number% loi
rule=web:nginx: %source.ip:ipv4% - %user.name:word% [%time:char-to:]%] "%http.request.method:word% %url.original:word% HTTP/%http.version:char-to:"%" %http.response.status_code:number% %http.response.body.bytes:number% "%http.request.referrer:char-to:"%" "%user_agent.original:char-to:"%"
