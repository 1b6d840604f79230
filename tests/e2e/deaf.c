/* deaf PORT REQUEST COUNT: so many connections to 127.0.0.1, each with the smallest receive
 * buffer, which send the request and read nothing until stdin ends. Prints a line when all
 * have sent. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_in to;
    int i, n, bytes = 1;
    char byte;

    if (argc != 4) {
        return 2;
    }
    memset(&to, 0, sizeof(to));
    to.sin_family = AF_INET;
    to.sin_port = htons((unsigned short)atoi(argv[1]));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    n = atoi(argv[3]);
    for (i = 0; i < n; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
            send(fd, argv[2], strlen(argv[2]), MSG_NOSIGNAL) < 0) {
            perror("deaf");
            return 1;
        }
    }
    puts("sent");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    return 0;
}
