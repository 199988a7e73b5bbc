/* options: the command line of the suite. */
#ifndef FLASHDEAL_CONTRACT_OPTIONS_H
#define FLASHDEAL_CONTRACT_OPTIONS_H

/* Reads it into `contract`. Ends the process with status 64 and the usage if it is wrong, with 0
 * after --help. */
void options_read(int argc, char **argv);

#endif
