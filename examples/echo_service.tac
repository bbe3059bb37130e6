"""The echo server as an application of twistd: twistd -ny echo_service.tac"""

from twisted.application.service import Application

from netproc import filters
from netproc.service import ProcessService

application = Application("echo")
ProcessService(
    name="echo", server=True, host="local", service=7007, filter=filters.echo
).setServiceParent(application)
